# bars.awk -v wanted=MEASURE[,MEASURE]: a line a contender: its name, and median, least and most of each.
END {
	n = split(wanted, want, ",")
	for (c = 1; c <= contenders; c++) {
		line = contender[c]
		for (m = 1; m <= n && summarize_contender(want[m], contender[c]); m++)
			line = line " " median " " least " " most
		if (m > n)
			print line
	}
}
