export const primordials = {};
