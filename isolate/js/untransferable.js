// The mark of ArrayBuffers that many views share (Buffer's pool): structuredClone does not
// take them away.

import { native } from './native.js';

export const untransferable = native.privateSymbol('untransferable');
