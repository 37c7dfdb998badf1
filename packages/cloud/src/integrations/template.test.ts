import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { compileTemplate, escapeHtml, renderBudget, TemplateError } from './template.ts'
import { compileValue } from './template-value.ts'

const mustache = createRequire(import.meta.url)('mustache') as {
  render(template: string, view: unknown, partials: undefined, config: { escape: (text: unknown) => string }): string
}
const runs = Number(process.env.ALOE_FUZZ_RUNS ?? 200)

function render(template: string, ...view: unknown[]): string {
  return compileTemplate(template).render(view, renderBudget())
}

describe('a template', () => {
  it('escapes & < > " and \' in two braces, nothing else, and nothing in three', () => {
    const x = `&<>"'/\`= é`
    assert.equal(render('{{x}}', { x }), '&amp;&lt;&gt;&quot;&#39;/`= é')
    assert.equal(render('{{{x}}}|{{&x}}', { x }), `${x}|${x}`)
  })

  it('finds values by dotted paths with indexes', () => {
    const view = { c: [{ ca: 'A', n: 1.5 }], t: true, nothing: null, zero: 0 }
    assert.equal(
      render('{{{c.0.ca}}} {{c.0.n}} {{t}} [{{nothing}}] [{{c.7.ca}}] {{zero}} {{c.length}}', view),
      'A 1.5 true [] [] 0 1',
    )
  })

  it('repeats and leaves out sections', () => {
    const view = { list: [{ a: 1 }, { a: 2 }], one: { a: 3 }, no: false, empty: [], words: ['x', 'y'] }
    assert.equal(render('{{#list}}<{{a}}>{{/list}}{{#one}}{{a}}{{/one}}', view), '<1><2>3')
    assert.equal(render('{{^no}}A{{/no}}{{#no}}B{{/no}}{{^empty}}C{{/empty}}{{#empty}}D{{/empty}}', view), 'AC')
    assert.equal(render('{{#words}}{{.}};{{/words}}{{! a comment }}', view), 'x;y;')
    assert.equal(render('{{=<% %>=}}<% one.a %>', view), '3')
  })

  it('looks at the last of the view first', () => {
    assert.equal(render('{{a}}{{b}}', { a: 'data', b: 'more' }, { a: 'predefined' }), 'predefinedmore')
  })

  it('knows nothing but what is in the data', () => {
    const names = ['constructor', '__proto__', 'toString', 'constructor.name', 'list.map', 'text.at', 'hasOwnProperty']
    const view = { list: [], text: 'abc' }
    for (const name of names)
      assert.equal(render(`[{{${name}}}{{#${name}}}!{{/${name}}}{{>${name}}}]`, view), '[]', name)
    assert.equal(
      render('{{o}} {{l}}', JSON.parse('{"o":{"toString":1,"valueOf":2},"l":[1,[2,null,{"join":3}]]}')),
      '[object Object] 1,2,,[object Object]',
    )
  })

  it('says what is wrong with its syntax', () => {
    for (const wrong of ['{{x', '{{#a}}', '{{/a}}', '{{#a}}{{/b}}', '{{#a}}{{#b}}{{/a}}{{/b}}', '{{=x=}}']) {
      assert.throws(() => compileTemplate(wrong), TemplateError, wrong)
    }
    assert.throws(() => compileTemplate(`${'{{#a}}'.repeat(40)}${'{{/a}}'.repeat(40)}`), /nested more than 32 deep/)
    assert.throws(() => compileTemplate(`{{a}}${'x'.repeat(70_000)}`), /longer than/)
    assert.throws(() => compileTemplate(`{{${' '.repeat(60_000)}`), /blanks/)
  })

  it('stops where data make it grow without end', () => {
    const a = Array.from({ length: 1_000 }, () => 1)
    assert.throws(() => render('{{#a}}{{#a}}{{#a}}x{{/a}}{{/a}}{{/a}}', { a }), /takes too long/)
    const long = 'y'.repeat(10_000)
    assert.throws(() => render('{{#a}}{{long}}{{/a}}', { a, long }), /too much text/)
    let deep: unknown = 1
    for (let i = 0; i < 200; i++) deep = [deep]
    assert.throws(() => render('{{deep}}', { deep }), /nested too deep/)
  })

  it('is what mustache.js makes of it, for data out of JSON', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'a.b', 'b.0', 'c.a.b', '.')
    const tag: fc.Arbitrary<string> = fc.oneof(
      fc.constantFrom('x', ' ', '\n', '"', '&', '<'),
      name.map((n) => `{{${n}}}`),
      name.map((n) => `{{{${n}}}}`),
      name.map((n) => `{{#${n}}}-{{a}}{{/${n}}}`),
      name.map((n) => `{{^${n}}}+{{b}}{{/${n}}}`),
    )
    const leaf = fc.oneof(fc.string({ maxLength: 4 }), fc.integer(), fc.boolean(), fc.constant(null), fc.constant(''))
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
      ),
    }))
    const view = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value, { maxKeys: 3, noNullPrototype: true })
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 8 }), view, (tags, data) => {
        const template = tags.join('')
        const rendered = render(template, data)
        let expected: string
        try {
          expected = mustache.render(template, data, undefined, { escape: (text) => escapeHtml(String(text)) })
        } catch (error) {
          // It asks a null within a list for its properties.
          assert.ok(error instanceof TypeError)
          return
        }
        assert.equal(rendered, expected)
      }),
      { numRuns: runs },
    )
  })

  it('of any text either is refused or renders, whatever the data are', () => {
    const piece = fc.oneof(
      fc.constantFrom('{{', '}}', '{{{', '}}}', '#', '/', '^', '&', '=', '>', '!', '.', 'a', ' '),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.jsonValue(), (pieces, data) => {
        try {
          assert.equal(typeof render(pieces.join(''), data), 'string')
        } catch (error) {
          assert.ok(error instanceof TemplateError, String(error))
        }
      }),
      { numRuns: runs },
    )
  })
})

describe('a value of templates', () => {
  it('renders names and texts, and keeps everything else', () => {
    const value = { '{{k}}': '{{v}}', n: 1, b: true, none: null, list: ['{{v}}', { x: '{{{v}}}' }] }
    const rendered = compileValue(value, 'json').render([{ k: 'key', v: '2' }], renderBudget())
    assert.deepEqual(rendered, { key: '2', n: 1, b: true, none: null, list: ['2', { x: '2' }] })
  })

  it('names the place of a mistake', () => {
    assert.throws(() => compileValue({ a: [{ b: '{{x' }] }, 'json'), /^TemplateError: json\.a\[0\]\.b: Unclosed tag/)
    assert.throws(() => compileValue({ '{{x': 1 }, 'query'), /the name "{{x" in query: Unclosed tag/)
  })

  it('cannot reach a prototype', () => {
    const rendered = compileValue(JSON.parse('{"__proto__":{"polluted":"{{a}}"}}'), 'json').render(
      [{ a: 'x' }],
      renderBudget(),
    )
    assert.equal(JSON.stringify(rendered), '{"__proto__":{"polluted":"x"}}')
    assert.equal((rendered as { polluted?: unknown }).polluted, undefined)
  })
})
