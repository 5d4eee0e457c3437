#!/bin/busybox sh
# The first process of the 64-bit Arm guest, twice: from the initramfs, whose root cannot be exchanged, it goes into a tmpfs; there it runs all
# programs, and prints what the helper tells of each as `@@ NAME BASE64`.
b=/bin/busybox
if [ "$1" != again ]; then
  $b mount -t tmpfs tmpfs /new
  for each in bin helper launch programs lower lib init; do $b cp -a /$each /new; done
  exec $b switch_root /new /init again
fi
$b mkdir -p /proc /sys /dev /scratch
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
$b insmod /lib/overlay.ko
echo "+memory +pids +cpu +io" > /sys/fs/cgroup/cgroup.subtree_control
cd /programs
for name in *; do
  $b mkdir "/$name-upper" "/$name-work"
  echo "@@ $name $(/launch /helper "/programs/$name" | $b base64 -w 0)"
done > /dev/ttyAMA0
$b poweroff -f
