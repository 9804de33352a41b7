import { Blob, isBlob } from '../../../blob.js';
export { Blob, isBlob };
// Nothing here makes blob: URLs.
export function resolveObjectURL() {
	return undefined;
}
