"""The whole run, from questions to the report, as an entry point for a cluster.

    ray job submit --working-dir . -- python jobs/run.py --config jobs/configs/demo.yaml [dotted.key=value ...]

The same as `lema run`; read top to bottom, it is the project on one page.
"""

from arguments import config_from_command_line, errors_as_messages

from lema_ray.config import round_configs
from lema_ray.evaluation.compare_rounds import write_rounds
from lema_ray.evaluation.scores import read_scores
from lema_ray.on_ray.flow import Flow
from lema_ray.report import headline

if __name__ == "__main__":
    with errors_as_messages():
        config = config_from_command_line(__doc__)
        runs = []
        for each in round_configs(config):  # one, unless the config asks for rounds
            flow = Flow(each)
            flow.check()  # can the cluster hold every stage, is every model and key there?
            flow.questions()  # any source -> questions/*.parquet
            flow.collect()  # students attempt, attempts are graded, mistakes are corrected -> collected/*.parquet
            flow.build(variants=each.variants is not None)  # corrections and solutions -> examples/<arm>/*.parquet
            flow.train()  # Ray Train, TRL, DeepSpeed -> models/<arm>/
            flow.evaluate()  # held-out questions -> evaluations/*.parquet
            flow.report()  # -> report.html
            runs.append(flow.run)
            print(headline(*read_scores(flow.run)))
        if len(runs) > 1:
            print(f"all rounds: {write_rounds(config.folder, runs)}")
