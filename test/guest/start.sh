# The guest's first process once its root is there: sets the machine up as a systemd without services would, runs the command beside this
# file, and tells its output and exit status by two ports.
here=${0%/*}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/guest
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs run /run
mkdir -p /dev/pts /dev/shm /dev/mqueue /lib/modules /guest
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount --bind "$here/modules" /lib/modules
cp "$(command -v busybox)" /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
mount -t ext4 /dev/vda /guest && chmod 1777 /guest
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
busybox modprobe tun
hostname guest
{ sh "$here/command.sh" < /dev/null; echo $? > /run/status; } 2>&1 | cat > /dev/vport0p1
cat /run/status > /dev/vport0p2
sync
busybox poweroff -f
