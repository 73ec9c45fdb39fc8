#!/usr/bin/env bash
# All tables of the paper from a directory of recordings (from `mmtsa prepare`, `mmtsa synth`, or with an index of your own):
#
#   bash recipes/tables.sh RECORDINGS OUTPUT [options that benchmark and ablate share: --recipe, --seeds, --jobs, --protocol, --set]
#   SAMPLE="--window 1.5 --short-side 128" bash recipes/tables.sh rec tables --recipe utd-mhad --jobs 2
#
# With `synthetic` for RECORDINGS they are made, with recipes that take minutes. What differs from data to data is said before it:
#   SAMPLE      options of `mmtsa sample`: length of windows, frames, modalities
#   METHODS     systems of the tables (default: all)
#   BEST        so many of the best are tested on every subject in turn as well (default: 5; 0: none)
#   SUBSETS     modalities of which table 4 takes every subset (default: all; acc, or imu, stays together)
# Interrupted, the same command goes on where it was. Sets up all it needs in .venv.
set -euo pipefail
caller="$PWD"
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,13s/^# \{0,1\}//p' recipes/tables.sh >&2; exit 2; }
recordings="$1" out="$2"
shift 2
shared=("$@")
source recipes/environment.sh ""   # without the argument it would take this script's own
cd "$caller"
mmtsa() { echo "+ mmtsa $*" >&2; "$VENV/bin/mmtsa" "$@"; }
read -ra sample <<<"${SAMPLE:-}"
subsets=(${SUBSETS:+--modalities "$SUBSETS"})
started=$SECONDS
mkdir -p "$out"

bench=() ablation=()
if [ "$recordings" = synthetic ]; then
    recordings="$out/recordings"
    mmtsa synth -o "$recordings"
    sample=(--segments 3 --frames 3 --short-side 128 ${sample[@]+"${sample[@]}"})
    bench=(--recipe benchmark-small) ablation=(--recipe ablate-small)
    subsets=(--modalities "${SUBSETS:-rgb,acc,gyro}")
fi

# What cannot be read is left out below as well, by name; here it stands in one list, with what to do about each file.
mmtsa check "$recordings" >"$out/check.txt" || echo "check found faults, see $out/check.txt; going on without those recordings" >&2
mmtsa sample "$recordings" -o "$out/samples" ${sample[@]+"${sample[@]}"}

# Tables 1 to 3: the first run trains, the others lay out what is there.
for table in 1 2 3; do
    mmtsa benchmark "$out/samples" -o "$out/benchmark" --methods "${METHODS:-all}" --table "$table" ${bench[@]+"${bench[@]}"} ${shared[@]+"${shared[@]}"}
done

# The best of them on every subject in turn. They were chosen by the clips that these figures count too: a second look, not a ranking.
best=$("$VENV/bin/python" - "$out/benchmark/table.json" "${BEST:-5}" <<'END'
import json, sys
rows = [row for row in json.load(open(sys.argv[1], encoding="utf-8"))["rows"] if row["status"] == "done"]
rows.sort(key=lambda row: -row["accuracy"])
print(",".join(row["method"] for row in rows[: int(sys.argv[2])]))
END
)
if [ -n "$best" ]; then
    mmtsa benchmark "$out/samples" -o "$out/every-subject" --methods "$best" ${bench[@]+"${bench[@]}"} ${shared[@]+"${shared[@]}"} --protocol leave-one-subject-out
fi

# Tables 4 and 5.
mmtsa ablate "$out/samples" -o "$out/table-4" ${subsets[@]+"${subsets[@]}"} ${ablation[@]+"${ablation[@]}"} ${shared[@]+"${shared[@]}"}
mmtsa ablate "$out/samples" -o "$out/table-5" --fusion concat,attention ${ablation[@]+"${ablation[@]}"} ${shared[@]+"${shared[@]}"}

cat >&2 <<END

Done in $((SECONDS - started)) s. Look at (each as .md, .csv, .tex and .json):
  $out/benchmark/table.md                  every system; table-1.md to table-3.md as the paper lays them out
  $out/benchmark/accuracy-latency.png      what accuracy costs
  $out/every-subject/table.md              the best, tested on every subject in turn
  $out/table-4/table.md                    subsets of the modalities
  $out/table-5/table.md                    fusion over segments
END
