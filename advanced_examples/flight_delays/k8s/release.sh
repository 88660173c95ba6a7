#!/usr/bin/env bash
# A kustomization like k8s/NAME with the images of one version, for k8s/release/NAME:
#     bash k8s/release.sh base ghcr.io/you/flights 1.1.0 > k8s/release/base/kustomization.yaml
set -euo pipefail
name=$1 registry=$2 version=$3
up=$(sed 's#[^/][^/]*#..#g' <<< "$name")
cat << END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../$up/$name
images:
  - name: flight-delays
    newName: $registry/flight-delays
    newTag: $version
  - name: flight-delays-training
    newName: $registry/flight-delays-training
    newTag: $version
END
