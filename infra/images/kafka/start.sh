#!/bin/sh
# Makes server.properties of the KAFKA_* variables (KAFKA_NODE_ID is node.id), formats an empty data directory, and becomes the broker.
set -eu
data=${KAFKA_LOG_DIRS:-/var/lib/kafka/data}
properties=/tmp/server.properties
java() { command java -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties -cp '/opt/kafka/libs/*' "$@"; }
{
  printf 'log.dirs=%s\n' "$data"
  env | sed -n 's/^KAFKA_//p' | while IFS='=' read -r name value; do
    case $name in HEAP_OPTS | LOG_DIRS | VERSION) continue ;; esac
    printf '%s=%s\n' "$(printf %s "$name" | tr 'A-Z_' 'a-z.')" "$value"
  done
} >"$properties"
java -Xmx128m kafka.tools.StorageTool format --ignore-formatted "--cluster-id=${CLUSTER_ID:?a base64 UUID}" --config "$properties"
# shellcheck disable=SC2086
exec java -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties ${KAFKA_HEAP_OPTS:--Xmx512m} -cp '/opt/kafka/libs/*' kafka.Kafka "$properties"
