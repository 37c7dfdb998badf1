/** The page behind a link to set a new password: no script, nothing from elsewhere. */
export type PasswordPage =
  | { readonly token: string; readonly username: string; readonly problem?: string }
  | { readonly over: true }
  | { readonly done: true }

export function passwordPage(state: PasswordPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>New password</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 15vh auto; padding: 0 1rem; color: #1c2a22; background: #fbfdfb }
input, button { font: inherit; display: block; width: 100%; box-sizing: border-box; padding: .5rem; margin: .25rem 0 1rem }
button { background: #2d6a4f; color: #fff; border: 0; border-radius: 4px }
.problem { color: #a4161a }
</style>
</head>
<body>
${bodyOf(state)}
</body>
</html>
`
}

function bodyOf(state: PasswordPage): string {
  if ('over' in state) return '<h1>This link is over</h1>\n<p>It was used, or an hour has passed. Ask for another.</p>'
  if ('done' in state) return '<h1>Your password is set</h1>\n<p>You can log in with it now.</p>'
  const { token, username, problem } = state
  return `<h1>New password</h1>
<p>For ${escaped(username)}</p>
${problem === undefined ? '' : `<p class="problem">${escaped(problem)}</p>`}
<form method="post" action="/v1/user/password-reset">
<input type="hidden" name="token" value="${escaped(token)}">
<label>New password<input type="password" name="password" autocomplete="new-password" required autofocus></label>
<button>Set password</button>
</form>`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '')
}
