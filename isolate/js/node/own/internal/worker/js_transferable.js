// There are no other threads to transfer anything to.

import { Symbol } from '../../../../primordials.js';

export const kClone = Symbol('kClone');
export const kDeserialize = Symbol('kDeserialize');
export const kTransfer = Symbol('kTransfer');
export const kTransferList = Symbol('kTransferList');

export function markTransferMode() {}

export { structuredClone } from '../../../../clone.js';
