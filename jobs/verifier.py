"""A verifier of right and wrong solutions from the collected attempts: `models/verifier/`.

ray job submit --working-dir . -- python jobs/verifier.py --config jobs/configs/score.yaml [dotted.key=value ...]
"""

from arguments import config_from_command_line, errors_as_messages

from lema_ray.on_ray.flow import Flow
from lema_ray.on_ray.verifier import describe

if __name__ == "__main__":
    with errors_as_messages():
        flow = Flow(config_from_command_line(__doc__))
        print(describe(flow.verifier()))
