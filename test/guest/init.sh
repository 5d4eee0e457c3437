#!/bin/busybox sh
# The guest's first process, from its initramfs: makes a root of the host's files, read-only by 9p, under what the guest writes.
b=/bin/busybox
$b mkdir /dev /proc /sys /host /written
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
for module in virtio_pci 9pnet_virtio 9p overlay virtio_console virtio_blk; do $b modprobe $module; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host
$b mount -t tmpfs written /written
$b mkdir /written/upper /written/work
$b mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work host /root
read -r parameters < /proc/cmdline
$b mount --move /proc /root/proc
$b mount --move /dev /root/dev
$b umount /host
exec $b switch_root /root /bin/sh "${parameters##* }/start.sh"
