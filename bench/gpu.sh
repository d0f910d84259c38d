#!/usr/bin/env bash
# What to run on a machine with a GPU, in under 12 minutes: set-up, doctor, tests, demo, bench:step, profile.
# Each stage has a time limit and a log; a stage that fails doesn't stop the others. docs/setup.md, "GPU".
#
#   bash bench/gpu.sh             on a machine with a GPU
#   bash bench/gpu.sh --cpu       the same stages with the CPU's library, small: to try the script
#   bash bench/gpu.sh --dry-run   what would run, and what this machine lacks; runs nothing
#
# $OUT: the folder of the logs and of summary.md, default runs/gpu; eight files at most.
# $GPU_SECONDS: time for all stages together, default 690; $GPU_STAGES: names of stages, default all.
# Exit code: 0 if every stage passed, 1 if one failed or had no time left, 2 for a wrong argument.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=gpu
case ${1-} in
  '') ;;
  --cpu) mode=cpu ;;
  --dry-run) mode=dry ;;
  *)
    printf 'gpu.sh: %s given, wanted --cpu, --dry-run or nothing\n' "$1" >&2
    exit 2
    ;;
esac
if [ $# -gt 1 ]; then
  printf 'gpu.sh: %s arguments given, wanted one at most\n' $# >&2
  exit 2
fi

out=${OUT:-runs/gpu}
total=${GPU_SECONDS:-690}
if ! [[ $total =~ ^[1-9][0-9]*$ ]]; then
  printf 'gpu.sh: GPU_SECONDS: %s given, wanted a whole number of seconds above 0\n' "$total" >&2
  exit 2
fi

cirkd() { node services/cli/bin.mjs "$@"; }

# Tests that compute with the kernels of the device; the others need no GPU.
DEVICE_TESTS=(test/unit/{gradients,losses,memoryTerms,network,objective,teacherNetwork}.test.ts)

setup_stage() {
  if [ "$mode" = gpu ]; then
    nvidia-smi || return
    CIRKD_TENSORFLOW=cuda npm run setup
  else
    npm run setup
  fi
}

# Fails on a GPU machine whose GPU TensorFlow doesn't use.
doctor_stage() {
  cirkd doctor || return
  [ "$mode" = gpu ] || return 0
  cirkd doctor --json | grep -q '"used": *true' || {
    printf 'doctor: TensorFlow does not use the GPU\n'
    return 1
  }
}

golden_stage() { node services/setup/tests/run.mjs golden; }

unit_stage() {
  TF_FORCE_GPU_ALLOW_GROWTH=true TF_CPP_MIN_LOG_LEVEL=2 \
    node --import tsx --test "${DEVICE_TESTS[@]}"
}

# Both services share the GPU.
demo_stage() {
  local steps=(--steps 200)
  [ "$mode" = gpu ] || steps=(--steps 10)
  CIRKD_GPU_MEMORY_MIB=${CIRKD_GPU_MEMORY_MIB:-16384} cirkd demo --out runs/gpu-demo "${steps[@]}"
}

# Networks and losses beside PyTorch; both sides are on the CPU.
step_stage() {
  local size=(--rounds 2)
  [ "$mode" = gpu ] || size=(--rounds 1 --cases network-resnet18 --height 64 --width 128 --width-multiplier 0.25)
  npm run bench:step -- "${size[@]}" --results runs/gpu-step.json
}

# The paper's size on a GPU, with the GPU's load beside it; then op by op.
profile_stage() {
  local size=(--backbone resnet101 --batch 8 --height 512 --width-pixels 1024 --steps 10) watch=
  [ "$mode" = gpu ] || size=(--height 64 --width-pixels 128 --width 0.25 --steps 1 --warm-up 0)
  if [ "$mode" = gpu ]; then
    nvidia-smi --query-gpu=utilization.gpu,utilization.memory,memory.used --format=csv --loop=2 &
    watch=$!
  fi
  cirkd bench "${size[@]}" --loss cirkd --profile
  local code=$?
  [ -z "$watch" ] || kill "$watch"
  return $code
}

# name, seconds, environment: products in full float32 where results are compared (docs/setup.md).
STAGES=(
  'setup 240'
  'doctor 45'
  'golden 120 NVIDIA_TF32_OVERRIDE=0'
  'unit 90 NVIDIA_TF32_OVERRIDE=0'
  'demo 150'
  'step 180'
  'profile 120'
)

# What the stages need and this machine has or lacks; nothing here uses the network.
needs() {
  local cache=${CIRKD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cirkd}
  have 'Node.js 20.11 or newer' node -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 20 || (+a === 20 && +b >= 11) ? 0 : 1)'
  have 'npm' npm --version
  have 'Python 3 with pip' python3 -m pip --version
  have 'a C++ compiler' bash -c 'command -v "${CXX:-g++}" || command -v clang++'
  have "NVIDIA's driver" nvidia-smi
  have 'libtensorflow for CUDA in the cache (5.6 GB), or a network' bash -c "compgen -G '$cache/tensorflow-cuda-*'"
  have 'npm packages in the cache, or a network' bash -c "compgen -G '$cache/node_modules/*'"
  have 'PyTorch in the cache, for step, or a network' bash -c "compgen -G '$cache/python-torch-*'"
}

have() { # have WHAT COMMAND...
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then printf 'here     %s\n' "$what"; else printf 'missing  %s\n' "$what"; fi
}

is_asked() { [ -z "${GPU_STAGES-}" ] || [[ " $GPU_STAGES " == *" $1 "* ]]; }

for name in ${GPU_STAGES-}; do
  [[ " ${STAGES[*]%% *} " == *" $name "* ]] && continue
  printf 'gpu.sh: GPU_STAGES: %s given, wanted some of %s\n' "$name" "${STAGES[*]%% *}" >&2
  exit 2
done

if [ "$mode" = dry ]; then
  needs
  printf '\n'
  for stage in "${STAGES[@]}"; do
    read -r name seconds environment <<<"$stage"
    is_asked "$name" || continue
    printf '%-8s at most %s s %s\n' "$name" "$seconds" "$environment"
  done
  printf 'all      at most %s s, logs in %s\n' "$total" "$out"
  exit 0
fi

mkdir -p "$out"
out=$(cd "$out" && pwd)
summary=$out/summary.md
export mode
export -f cirkd setup_stage doctor_stage golden_stage unit_stage demo_stage step_stage profile_stage
failed=0

{
  printf '%s, %s cores, %s\n\n' "$(date -u '+%F %R UTC')" "$(nproc)" "$mode"
  needs | sed 's/^/    /'
  printf '\n| stage | result | s |\n| --- | --- | --- |\n'
} >"$summary"

number=0
for stage in "${STAGES[@]}"; do
  number=$((number + 1))
  read -r name seconds environment <<<"$stage"
  is_asked "$name" || continue
  left=$((total - SECONDS))
  limit=$((seconds < left ? seconds : left))
  if [ "$limit" -le 0 ]; then
    result='no time left'
    failed=1
    took=0
  else
    started=$SECONDS
    # -k: what ignores the signal is killed; a process group of its own takes what the stage started along.
    env ${environment:+"$environment"} timeout -k 5 "$limit" \
      bash -c "$(declare -p DEVICE_TESTS); ${name}_stage" \
      >"$out/$number-$name.log" 2>&1 </dev/null
    code=$?
    took=$((SECONDS - started))
    case $code in
      0) result=passed ;;
      124 | 137) result="stopped at its limit of $limit s" ;;
      *) result="failed ($code)" ;;
    esac
    [ "$code" -eq 0 ] || failed=1
  fi
  printf '| %s | %s | %s |\n' "$name" "$result" "$took" | tee -a "$summary"
done
printf '\n%s s in all\n' "$SECONDS" >>"$summary"
cat "$summary"
exit $failed
