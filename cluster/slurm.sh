#!/bin/bash
# A run on Slurm: one Ray node per Slurm node, a token for this job alone, and the same folder again after a requeue.
#
#   sbatch --nodes=2 --gpus-per-node=4 cluster/slurm.sh mine.yaml runs_dir=/shared/runs
#
# Run it from a checkout whose .venv every node sees. `--requeue` goes on where the run was cut off.
#SBATCH --job-name=lema
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: sbatch cluster/slurm.sh CONFIG [dotted.key=value ...]" >&2; exit 2; }
cd "${SLURM_SUBMIT_DIR:?run by sbatch}"

PATH=$PWD/.venv/bin:$PATH
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0 VLLM_NO_USAGE_STATS=1 HF_HUB_DISABLE_TELEMETRY=1
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head_ip=$(srun --nodes=1 --ntasks=1 -w "${nodes[0]}" hostname -I | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 10000))   # two jobs may share a node; workers' own ports are below

gpus=${SLURM_GPUS_ON_NODE:-0}
srun --nodes=1 --ntasks=1 -w "${nodes[0]}" ray start --head --block --node-ip-address="$head_ip" --port="$port" \
  --include-dashboard=false --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$gpus" --temp-dir="/tmp/ray-$SLURM_JOB_ID" &
for node in "${nodes[@]:1}"; do
  srun --nodes=1 --ntasks=1 -w "$node" ray start --block --address="$head_ip:$port" \
    --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$gpus" &
done
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

export RAY_ADDRESS=$head_ip:$port
until [ "$(python -c 'import ray; ray.init(log_to_driver=False); print(sum(n["Alive"] for n in ray.nodes()))' 2>/dev/null)" = "${#nodes[@]}" ]; do
  sleep 2
done
python jobs/run.py --config "$@"
