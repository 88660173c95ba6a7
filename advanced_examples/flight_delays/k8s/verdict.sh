#!/usr/bin/env bash
# Wait for a job's end and print what it said; fails when it failed or took too long:
#     bash k8s/verdict.sh NAMESPACE JOB SECONDS
# (`kubectl wait` waits for one condition only: for `complete` it would sit out a failure.)
set -euo pipefail
space=$1 job=$2 seconds=$3
end=$((SECONDS + seconds))
state=,
while [ "$state" = , ] && [ "$SECONDS" -lt "$end" ]; do
  sleep "${EVERY:-5}"
  state=$(kubectl --namespace "$space" get job "$job" --output jsonpath='{.status.conditions[?(@.type=="Complete")].status},{.status.conditions[?(@.type=="Failed")].status}')
done
kubectl --namespace "$space" logs "job/$job" --all-pods --tail=200 || true
case $state in
  True,) echo "$job: completed" ;;
  ,) echo "$job: no end within $seconds s" >&2 && exit 1 ;;
  *) echo "$job: failed" >&2 && exit 1 ;;
esac
