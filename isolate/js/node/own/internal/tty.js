// Output goes to a log or a pipe, never to a terminal.
export function getColorDepth() {
	return 1;
}
