// Heap snapshots would be files of hundreds of megabytes that nobody here can look at.

import { codes } from '../../errors.js';

export class HeapSnapshotStream {}

export function getHeapSnapshotOptions() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('worker.getHeapSnapshot()');
}
