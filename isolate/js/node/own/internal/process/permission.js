// What upstream files do otherwise under Node's permission model, they do not here: the
// kernel decides about each operation.
export function isEnabled() {
	return false;
}
export function has() {
	return true;
}
