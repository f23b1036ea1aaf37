#!/bin/busybox sh
# The nested guest: says twice a second that it lives, and pings the host's side of its VF's VLAN whenever the VF is there.
# Every line goes to the serial console, which the host's journal stamps with the host's realtime clock.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b mkfifo /tick
exec 3<>/tick
read -r boot </proc/sys/kernel/random/boot_id
for word in $($b cat /proc/cmdline); do
	case $word in
	guest.address=*) address=${word#*=} ;;
	guest.peer=*) peer=${word#*=} ;;
	esac
done
echo "guest up boot=$boot"

network() {
	while :; do
		for path in /sys/class/net/*/device; do
			[ -e "$path" ] || continue
			name=${path#/sys/class/net/}
			name=${name%/device}
			$b ip link set "$name" up
			$b ip address add "$address/24" dev "$name" 2>/dev/null
			read -r mac <"/sys/class/net/$name/address"
			echo "network $name mac=$mac"
			$b ping -i 1 "$peer"
		done
		$b sleep 1
	done
}
network &

n=0
while :; do
	n=$((n + 1))
	read -r up _ </proc/uptime
	echo "life n=$n boot=$boot up=$up"
	read -r -t 0.5 _ <&3
done
