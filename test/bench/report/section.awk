# The section of a part: what was measured of every contender.
function spread() {
	return number(median) (least == most ? "" : " (" number(least) " to " number(most) ")")
}
END {
	printf "## %s\n\n%s. %d round%s.\n", title, machine, rounds, rounds == 1 ? "" : "s"
	for (i = 1; i <= notes; i++)
		printf "\n%s\n", note[i]
	printf "\n| |"
	for (m = 1; m <= measures; m++)
		printf " %s, %s |", measure[m], unit[measure[m]]
	printf "\n|---|"
	for (m = 1; m <= measures; m++)
		printf "---|"
	printf "\n"
	for (c = 1; c <= contenders; c++) {
		line = ""
		any = 0
		for (m = 1; m <= measures; m++) {
			if (summarize_contender(measure[m], contender[c])) {
				any = 1
				line = line " " spread() " |"
			} else
				line = line " |"
		}
		if (any)
			printf "| %s |%s\n", contender[c], line
	}
	printf "\n"
}
