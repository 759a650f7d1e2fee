"""The served model: an OpenAI-compatible endpoint on Ray Serve whose answers say how they were corrected.

`serve.app:build` is the application that `lema serve`, `serve run` and `serve deploy` start. One deployment per model:
its replicas hold the HTTP application (`openai_api`) and vLLM's engine (`vllm_backend`) in one process, so that a
request takes one hop from the proxy. Ray is imported in `app`, `replica` and `desk` only; the rest runs without it.
"""
