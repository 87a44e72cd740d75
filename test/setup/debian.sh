# Which Debian release has which PostgreSQL, and where this machine gets its packages.
# shellcheck shell=bash disable=SC2034 # read by those that source this
declare -A debian=([15]=bookworm [17]=trixie [18]=forky [19]=experimental)
# What is no release by itself is laid over one.
declare -A debian_below=([experimental]=forky)

# The host's own Debian mirror; nothing where it has none.
mirror() {
	apt-get indextargets --format "\$(LABEL) \$(REPO_URI)" 'Created-By: Packages' 2>/dev/null |
		sed -n 's/^Debian \(http.*\)/\1/p' | head -n 1
}

# Where its security updates are, beside it.
security_mirror() {
	local uri
	uri=$(mirror)
	uri=${uri:-http://deb.debian.org/debian}
	echo "${uri%/}-security"
}

# logged FILE COMMAND...: what it prints, in the file too.
logged() {
	local log=$1
	shift
	"$@" 2>&1 | tee "$log"
}
