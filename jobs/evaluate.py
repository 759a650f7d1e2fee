"""The base and the trained models on the held-out questions: `evaluations/`.

ray job submit --working-dir . -- python jobs/evaluate.py --config jobs/configs/demo.yaml [dotted.key=value ...]
"""

from arguments import config_from_command_line, errors_as_messages

from lema_ray.on_ray.flow import Flow

if __name__ == "__main__":
    with errors_as_messages():
        flow = Flow(config_from_command_line(__doc__))
        flow.evaluate()
