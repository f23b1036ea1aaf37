#!/bin/busybox sh
# Mount the root disk and go: the only thing that Debian's modular kernel needs an initrd for here.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
for module in /modules/*.ko; do $b insmod "$module"; done
for word in $($b cat /proc/cmdline); do
	case $word in root=*) root=${word#root=} ;; esac
done
until [ -b "$root" ]; do $b usleep 50000; done
$b mount -t ext4 "$root" /root
$b umount /proc
$b mount -o move /dev /root/dev
exec $b switch_root /root /sbin/init
