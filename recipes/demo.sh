#!/usr/bin/env bash
# From nothing at hand to an evaluated model: synthetic recordings of a moving body, whose best possible scores are known, are sampled,
# trained on and evaluated. Sets up all it needs in .venv. Results, with pictures, go to the directory named (default: demo).
# DEMO_SHORT=1 makes fewer recordings and trains for one epoch: it shows that everything runs, not what it reaches.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-demo}"
source recipes/environment.sh ""   # without the argument it would take this script's own
mmtsa() { echo "+ mmtsa $*" >&2; "$VENV/bin/mmtsa" "$@"; }
synth=(); train=()
if [ -n "${DEMO_SHORT:-}" ]; then
    synth=(--subjects 4 --repeats 1)
    train=(--set training.epochs=1)
fi
started=$SECONDS
mkdir -p "$out"
mmtsa synth -o "$out/rec" ${synth[@]+"${synth[@]}"}
mmtsa check "$out/rec"
mmtsa imagify "$out/rec/$(sed -n 2p "$out/rec/index.csv" | tr ',' '\n' | grep -m 1 acc_watch)" -o "$out/gaf.png"
mmtsa sample "$out/rec" -o "$out/samples" --segments 3 --frames 3 --short-side 128
mmtsa train "$out/samples" -o "$out/run" --recipe synthetic ${train[@]+"${train[@]}"}
mmtsa eval "$out/run" "$out/samples" -o "$out/eval"
cat >&2 <<END

Done in $((SECONDS - started)) s. Look at:
  $out/gaf.png                              one recording of the wrist's accelerometer as an image
  $out/run/folds/cross-subject/curves.png   the training
  $out/eval/confusion.png                   which activities are taken for which
  $out/rec/dataset.yaml                     what video alone and sensors alone could reach at best (ceilings)
END
