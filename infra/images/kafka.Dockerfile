# Apache Kafka in KRaft mode from Maven Central, for where apache/kafka cannot be pulled. It takes the same KAFKA_* variables.
#   docker build -f infra/images/kafka.Dockerfile -t aquifer-kafka infra/images
ARG BASE=debian:12-slim

FROM ${BASE} AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends maven default-jdk-headless >/dev/null
ARG KAFKA_VERSION=4.1.2
WORKDIR /build
COPY kafka/pom.xml .
RUN mvn -q -B -Dkafka.version="$KAFKA_VERSION" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=libs

FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends default-jre-headless >/dev/null && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /var/lib/kafka/data && chown 1000:1000 /var/lib/kafka/data
COPY --from=build /build/libs /opt/kafka/libs
COPY kafka/log4j2.properties kafka/start.sh /opt/kafka/
USER 1000:1000
VOLUME /var/lib/kafka/data
EXPOSE 9092
CMD ["sh", "/opt/kafka/start.sh"]
