# A Debian release in a folder, kept in $MATRIX_CACHE, to build and test in with its own server.
# Needs the variables root, logs, and job.sh and debian.sh.
# shellcheck shell=bash disable=SC2034,SC2154 # of those that source this
cache=${MATRIX_CACHE:-/var/cache/pg_tandem}

# a chroot needs root
as_root_if_possible() {
	if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then
		exec sudo -n "MATRIX_CACHE=$cache" "$0" "$@"
	fi
}

copy_tree() {
	local sample=${TANDEM_CHINOOK:-$root/../shared/data/chinook.sql}
	mkdir -p "$1" "$1/../shared/data"
	# where the tests look for the sample database
	[ ! -r "$sample" ] || cp "$sample" "$1/../shared/data/chinook.sql"
	tar -C "$root" -c --exclude=./.git --exclude-from="$root/.gitignore" . |
		tar -C "$1" -x --no-same-owner
}

# Runs a shell command in a folder with /proc and /dev. They vanish with it however it ends,
# as do the processes it started. Its first process is a shell, which reaps orphans.
# shellcheck disable=SC2016 # the inner shell's own variables
inside() {
	unshare --mount --pid --ipc --fork --kill-child sh -c '
		mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
		mount -t tmpfs tmpfs "$1/dev/shm" &&
		exec env -i PATH="$PATH" HOME=/root LANG=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} \
			chroot "$1" /bin/bash -c "$2; exit \$?"' inside "$1" "$2"
}

# Of a suite that is no release only what the server is made from is taken by itself.
lay_over() {
	local new=$1 suite=$2 major=$3
	echo "deb $(mirror) $suite main" >"$new/etc/apt/sources.list.d/$suite.list" &&
		printf '%s\n' "Package: src:postgresql-$major" "Pin: release a=$suite" 'Pin-Priority: 500' \
			>"$new/etc/apt/preferences.d/$suite"
}

# A folder is made beside its place and moved there when complete: an interrupted one is never used.
make_folder() {
	local major=$1 folder=$2 new=$2.partial release=${debian[$1]} below
	below=${debian_below[$release]:-$release}
	"$root/test/setup/packages" debootstrap debian-archive-keyring &&
		rm -rf --one-file-system "$new" && mkdir -p "$new" &&
		# a release younger than the host's debootstrap is made the way of sid
		unshare --mount debootstrap --variant=minbase --include=make,ca-certificates \
			"$below" "$new" "$(mirror)" /usr/share/debootstrap/scripts/sid &&
		# a frozen copy of the archive stays usable after its index expires
		echo 'Acquire::Check-Valid-Until "false";' >"$new/etc/apt/apt.conf.d/90frozen" &&
		# corrections of the server come there first; a release may have no such place
		echo "deb $(security_mirror) $below-security main" >"$new/etc/apt/sources.list.d/security.list" &&
		{ [ "$below" = "$release" ] || lay_over "$new" "$release" "$major"; } &&
		copy_tree "$new/tmp/tree" &&
		inside "$new" "/tmp/tree/test/setup/install $major && apt-get clean" &&
		mv "$new" "$folder"
}

# Readies the folder of a server, with this tree in /tmp/tree, in $folder; locked until descriptor 8
# is closed. Where it cannot be had, $reason says why.
open_folder() {
	local major=$1
	folder=$cache/${debian[$1]}
	[ "$(id -u)" = 0 ] || {
		reason="a chroot needs root, or sudo without a password"
		return 1
	}
	mkdir -p "$cache"
	unshare --mount --pid --ipc --fork mount -t tmpfs tmpfs "$cache" 2>/dev/null || {
		reason="this machine, itself a container or chroot, allows no namespaces"
		return 1
	}
	exec 8>"$folder.lock"
	flock 8
	if [ ! -d "$folder" ]; then
		echo "PostgreSQL $major: making $folder, which later runs find ready"
		in_group make_folder "$major" "$folder" >"$logs/$major.setup.log" 2>&1 || {
			tail -n 20 "$logs/$major.setup.log"
			reason="no $folder, see $logs/$major.setup.log"
			return 1
		}
	fi
	find "$folder/tmp" -mindepth 1 -delete
	copy_tree "$folder/tmp/tree"
}
