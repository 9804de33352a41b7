// What upstream/_http_agent.js gives back to a handle whose reads it has watched. Here a handle
// tells its owner itself: see `guard` of ../../net/socket.js.
export const onStreamRead = undefined;
