#!/bin/sh
# Answers of grub-probe on an emulated host, whose second disk is its root file system without partitions.
# The UUID is that of lab/images/grub.py.
while [ $# -gt 0 ]; do
	case $1 in
	-t) target=$2 && shift ;;
	--target=*) target=${1#--target=} ;;
	esac
	shift
done
case $target in
device) echo /dev/vdb ;;
fs_uuid) echo 6b766d66-6c65-4574-8c61-62726f6f7401 ;;
fs) echo ext2 ;;
drive) echo '(hd1)' ;;
compatibility_hint) echo hd1 ;;
hints_string) echo --hint-bios=hd1 ;;
esac
