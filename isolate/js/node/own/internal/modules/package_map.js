// --experimental-package-map, which is not here.
export function hasPackageMap() {
	return false;
}
export function packageMapResolve() {}
