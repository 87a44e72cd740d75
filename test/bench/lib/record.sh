# What a part finds goes into $record, one fact a line, its fields separated by tabs. report/ reads it.
# shellcheck shell=bash
: "${record:?}" "${part:?}"

fact() {
	local IFS=$'\t'
	echo "$*" >>"$record"
}

title() { fact title "$1"; }
# a line of text beneath the title
note() { fact note "$1"; }
# measure NAME UNIT
measure() { fact measure "$1" "$2"; }
# value MEASURE CONTENDER ROUND NUMBER
value() {
	[[ $4 =~ ^-?[0-9.]+(e[-+]?[0-9]+)?$ ]] || fail "$part: $1 of $2 is no number: $4"
	fact value "$@"
}
# write_cost ROUND CONTENDER MEASURE DATABASE TABLE ROWS STATEMENT: us a row of a statement that writes so many rows
write_cost() {
	local ms
	ms=$(run_ms "$4" "$7")
	value "$3" "$2" "$1" "$(awk -v ms="$ms" -v rows="$6" 'BEGIN { print ms * 1000 / rows }')"
	query "$4" "VACUUM $5"
}

# point CONTENDER X Y: of a curve
point() { fact point "$@"; }

# target WHAT TERM TERM <=|>= BOUND [max]: the first term over the second: their medians over the rounds, or
# the max of the first. A term is MEASURE:CONTENDER, less that of another one with -CONTENDER, or 1.
target() { fact target "$1" "$2" "$3" "$4" "$5" "${6:-median}"; }

# interleave ROUNDS FUNCTION CONTENDER...: each contender once a round, the first one another each time
interleave() {
	local rounds=$1 turn=$2 round i
	shift 2
	local contenders=("$@")
	for ((round = 1; round <= rounds; round++)); do
		say "$part, round $round of $rounds"
		for ((i = 0; i < $#; i++)); do
			"$turn" "$round" "${contenders[(i + round - 1) % $#]}"
		done
	done
}
