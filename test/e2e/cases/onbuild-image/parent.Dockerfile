FROM busybox
ONBUILD COPY a.txt /copied
ONBUILD COPY --from=busybox /etc/group /from-other
