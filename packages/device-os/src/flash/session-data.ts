/** The name of the data (`Flash.readData`) in which the session with the cloud outlives resets. */
export const sessionData = 'session'
