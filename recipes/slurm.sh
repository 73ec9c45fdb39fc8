#!/usr/bin/env bash
# From recordings to a trained run on a Slurm cluster: shards cut by an array job, merged, trained on several nodes at once:
#
#   bash recipes/slurm.sh RECORDINGS OUTPUT [options of `mmtsa train`: --recipe, --protocol, --set, --seed]
#   SHARDS=16 NODES=4 GPUS=8 SAMPLE="--window 2.1" bash recipes/slurm.sh rec /scratch/me/run --recipe utd-mhad
#
# Submits three jobs, each waiting for the one before; RECORDINGS and OUTPUT lie on a file system that all nodes see.
#   SHARDS      parts that the recordings are cut in (default 8); each is a task of the array
#   NODES       nodes that train together (default 2)
#   GPUS        GPUs, and processes, of each (default 1; 0: one process on the node's cores)
#   SAMPLE      options of `mmtsa sample`: length of windows, frames, modalities
#   SBATCH      options of `sbatch` for all jobs: --partition, --account, --time
#   MMTSA_ENV   virtual environment with mmtsa in it, on that file system (default: what is active)
# Three minutes before its time is over, or as it is preempted, the training writes its checkpoint, and its job goes back
# into the queue under the same number; a process that dies is started again by torchrun. Either goes on from the last
# checkpoint. Given again, the command goes on too: what is whole already is not made anew.
#SBATCH --job-name=mmtsa
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180
set -euo pipefail
SHARDS="${SHARDS:-8}" NODES="${NODES:-2}" GPUS="${GPUS:-1}"
[ -z "${MMTSA_ENV:-}" ] || PATH="$MMTSA_ENV/bin:$PATH"

submit() {
    [ $# -ge 2 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }
    local recordings out common sampled merged trained gpus
    mkdir -p "$2"
    recordings="$(realpath "$1")" out="$(realpath "$2")"
    export SHARDS NODES GPUS MMTSA_RECORDINGS="$recordings" MMTSA_OUT="$out"
    read -ra common <<<"${SBATCH:-}"
    common+=(--parsable --export=ALL --kill-on-invalid-dep=yes)
    sampled=$(sbatch "${common[@]}" --array="1-$SHARDS" --ntasks=1 --output="$out/sample-%a.log" "$0" --step sample)
    merged=$(sbatch "${common[@]}" --dependency="afterok:$sampled" --ntasks=1 --output="$out/merge.log" "$0" --step merge)
    gpus=()
    [ "$GPUS" = 0 ] || gpus=(--gpus-per-node="$GPUS")
    trained=$(sbatch "${common[@]}" --dependency="afterok:$merged" --nodes="$NODES" --ntasks-per-node=1 --exclusive \
        "${gpus[@]}" --output="$out/train.log" "$0" --step train "${@:3}")
    echo "sample $sampled, merge $merged, train $trained: logs in $out, the run will be $out/run"
}

sample() {
    local wishes
    read -ra wishes <<<"${SAMPLE:-}"
    mmtsa sample "$MMTSA_RECORDINGS" -o "$MMTSA_OUT/shards/$SLURM_ARRAY_TASK_ID" \
        --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" "${wishes[@]}"
}

merge() {
    local shards=()
    for number in $(seq "$SHARDS"); do shards+=("$MMTSA_OUT/shards/$number"); done
    mmtsa merge "${shards[@]}" -o "$MMTSA_OUT/samples"
}

train() {
    local nodes stopped="" code=0
    mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
    # Processes that are started again meet in a store of their own, and one that is to stop may finish its step.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 TORCH_ELASTIC_SHUTDOWN_TIMEOUT=150
    srun torchrun --nnodes="${#nodes[@]}" --nproc-per-node="$((GPUS > 0 ? GPUS : 1))" --max-restarts=3 \
        --rdzv-backend=c10d --rdzv-endpoint="${nodes[0]}:29400" --rdzv-id="$SLURM_JOB_ID" \
        -m mmtsa_cli train "$MMTSA_OUT/samples" -o "$MMTSA_OUT/run" --resume "$@" &
    step=$!
    trap 'stopped=1; kill -TERM "$step"' TERM USR1
    # A signal ends `wait`, not what is waited for.
    while kill -0 "$step" 2>/dev/null; do
        code=0
        wait "$step" || code=$?
    done
    if [ -n "$stopped" ] && [ ! -d "$MMTSA_OUT/run" ]; then
        scontrol requeue "$SLURM_JOB_ID"
        return 0
    fi
    return "$code"
}

if [ "${1:-}" = --step ]; then
    "$2" "${@:3}"
else
    submit "$@"
fi
