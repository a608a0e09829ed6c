#!/bin/bash
# Holds the sources against the architecture's rules: which folders may include LibTorch and protobuf,
# and how long a file may be. Usage: layering_test.sh ROOT; prints each violation, exit code 1 if there are any.
set -u
cd "$1" || exit 1
violations=$(mktemp)
trap 'rm -f "$violations"' EXIT

# The C++ sources of the project.
sources() {
  find exporter tagging analysis models tests \( -name '*.h' -o -name '*.cpp' \) -print | sort
}

# forbid WHAT ALLOWED-FOLDERS PATTERN: no include that matches, except below those folders.
forbid() {
  sources | grep -vE "^($2)/" | xargs -r grep -nE "^\s*#\s*include\s+[<\"]($3)" |
    sed "s|^|$1 header outside of ${2//|/, }: |" >>"$violations"
}

forbid LibTorch 'exporter/frontend|models|tests/ops|tests/models|tests/frontend|tests/custom_ops' \
  '(torch|ATen|c10|caffe2)/'
forbid protobuf 'exporter/onnx' '(google/protobuf|onnx)/'
# Lower layers do not know higher ones.
layer() {
  sources | grep -E "^$1/" | xargs -r grep -nE "^\s*#\s*include\s+\"($2)/" |
    sed "s|^|layer $1 must not include this: |" >>"$violations"
}
layer exporter/program 'exporter/(graph|lowering|onnx|runtime|frontend|cli)|tagging|analysis'
layer exporter/graph 'exporter/(lowering|onnx|runtime|frontend|cli)|tagging|analysis'
layer exporter/lowering 'exporter/(onnx|runtime|frontend|cli)|tagging|analysis'
layer exporter/frontend 'exporter/(graph|lowering|onnx|runtime|cli)|tagging|analysis'
layer exporter/runtime 'exporter/(graph|lowering|onnx|frontend|cli)|tagging|analysis'

sources | xargs -r wc -l | awk '$2 != "total" && $1 > 400 { print $2 " has " $1 " lines; split it by topic (at most 400)" }' >>"$violations"

cat "$violations"
[ ! -s "$violations" ]
