/**
 * bin/aloe.js starts this process as its child when another Node runs it. A signal that cannot be passed on (SIGKILL)
 * would leave the child behind, still holding ports and data: it ends when the channel to its parent closes.
 */
export function endWithWrapper(): void {
  if (process.env.ALOE_WRAPPED !== '1' || process.channel === undefined) return
  delete process.env.ALOE_WRAPPED
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  process.channel?.unref()
}
