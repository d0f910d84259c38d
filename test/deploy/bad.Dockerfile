FROM debian:latest
USER root
CMD node
