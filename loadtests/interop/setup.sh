#!/usr/bin/env bash
# The independent clients of the interoperability runs: Debian's sipp, sipsak and baresip, and PJSIP from PyPI in a virtual
# environment of its own. Says where that is. As root, or with the packages already there.
set -euo pipefail
venv="${1:-${TMPDIR:-/tmp}/tandem-interop-venv}"

missing=()
for program in sipp:sip-tester sipsak:sipsak baresip:baresip-core; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    apt-get -qq update >&2
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2
fi
if ! "$venv/bin/python" -c 'import pjsua2' 2>/dev/null; then
    python3 -m venv "$venv"
    timeout 600 "$venv/bin/pip" install --quiet --disable-pip-version-check pjsua2-python==2.15.1.post1 >&2
fi
echo "$venv/bin/python"
