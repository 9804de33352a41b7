// Whether upstream files must mind that they are in a snapshot: everything is, and what they
// make there is as good after it. (Buffer's pool is in pages that a worker copies when it
// first writes.)
export const namespace = { isBuildingSnapshot: () => false, addDeserializeCallback() {} };
export function throwIfBuildingSnapshot() {}
