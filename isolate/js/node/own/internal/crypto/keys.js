// There are no keys as objects (KeyObject of node:crypto, CryptoKey).
export function isKeyObject() {
	return false;
}
export function isCryptoKey() {
	return false;
}
