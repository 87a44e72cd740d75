# What the sync costs each write in instructions: the same in every run, however busy the machine is.
# shellcheck shell=bash
: "${root:?}" "${bindir:?}" "${cluster:?}"
# shellcheck source=/dev/null
. "$root/test/bench/lib/sync.sh"
: "${sync_contenders[0]:?}" "${sync_measures[0]:?}"
rows=$(size 10000 1000 500)
counted=$cluster/counted
command -v valgrind >/dev/null || fail 'valgrind is needed'

title "The sync in instructions, $rows rows"
note "Instructions of the server for such statements, counted by valgrind (callgrind) in a session that has done each of them before. What a write waits for memory is in its time and not in these numbers. Over none: what a trigger adds, of what that rival's adds."
measure_sync 'instructions a row' 'all instructions'
for what in INSERT UPDATE; do
	target "sync on $what: instructions over no trigger, of a C trigger written by hand for this table" "$what:tandem-none" "$what:c_by_hand-none" '<=' 1
done

# Before expressions ran as the table's owner, and before keys were locked (commit 97ed88c), ours added these shares of
# what the C trigger adds: 0.891, 0.941 and 1.009.
declare -A share_before=([INSERT]=0.917 [UPDATE]=0.969 ['UPDATE of another column']=1.039)
for what in "${sync_measures[@]}"; do
	target "sync on $what: instructions over no trigger, of the C trigger by hand; within 1.03 of commit 97ed88c" "$what:tandem-none" "$what:c_by_hand-none" '<=' "${share_before[$what]}"
done

# what each adds to a write without trigger, in percent of what a rival adds: the floor of the lines on time
rivals=(pgroll_manner plpgsql)
for rival in "${rivals[@]}"; do
	for what in INSERT UPDATE; do
		measure "$what over none, of $rival" '%'
	done
done
declare -A instructions=()

# A cluster of their own, which is stopped when they are counted.
make_contenders() (
	cluster=$counted
	export PGHOST=$cluster
	mkdir "$cluster"
	start_cluster
	for contender in "${sync_contenders[@]}"; do
		make_sync_contender "$contender" "$rows"
	done
	"$bindir/pg_ctl" -D "$cluster/data" -m fast -w -s stop
)

# count_statements DATABASE STATEMENT...: the instructions of each, one a line, in a server of one session
count_statements() {
	local database=$1 i
	shift
	rm -f "$counted"/callgrind*
	printf '%s\n' "$@" | valgrind -q --tool=callgrind --callgrind-out-file="$counted/callgrind" --dump-after=PortalRun \
		"$bindir/postgres" --single -D "$counted/data" "$database" >"$counted/single.log" 2>&1 ||
		fail "a server of one session: $(tail -n 3 "$counted/single.log")"
	! grep -E 'ERROR|FATAL' "$counted/single.log" || fail "$database cannot be counted"
	for ((i = 1; i <= $#; i++)); do
		awk '$1 == "totals:" { print $2 }' "$counted/callgrind.$i"
	done
}

turn() {
	local statements counts i count
	mapfile -t statements < <(sync_statements "$2")
	mapfile -t counts < <(count_statements "sync_$2" "${statements[@]}" 'TRUNCATE item' "${statements[@]}")
	# the first three have filled the caches
	for i in "${!statements[@]}"; do
		count=$(awk -v count="${counts[i + 4]}" -v rows="$rows" 'BEGIN { print count / rows }')
		value "${sync_measures[i]}" "$2" "$1" "$count"
		instructions[${sync_measures[i]} $2]=$count
	done
}

# shares RIVAL: what each contender adds, of what the rival adds
shares() {
	local contender what
	for contender in noop_c c_by_hand tandem; do
		for what in INSERT UPDATE; do
			value "$what over none, of $1" "$contender" 1 "$(awk -v a="${instructions[$what $contender]}" \
				-v b="${instructions[$what $1]}" -v none="${instructions[$what none]}" 'BEGIN { print (a - none) / (b - none) * 100 }')"
		done
	done
}

make_contenders
interleave 1 turn "${sync_contenders[@]}"
for rival in "${rivals[@]}"; do
	shares "$rival"
done
rm -rf "$counted"
