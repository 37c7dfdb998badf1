/**
 * The two lines that `size` of the GNU binutils prints, which is how particle-cli learns how large an application is
 * (cloud-api.md 1.5): flash is text + data, RAM is bss + data.
 *
 * A TypeScript application is one text of `text` bytes; nothing of it has a fixed place in RAM.
 */
export function sizeInfo(text: number, filename: string): string {
  const columns = [text, 0, 0, text].map((value) => String(value).padStart(7))
  const header = ['text', 'data', 'bss', 'dec', 'hex'].map((name) => name.padStart(7)).join('\t')
  return `${header}\tfilename\n${columns.join('\t')}\t${text.toString(16).padStart(7)}\t${filename}\n`
}
