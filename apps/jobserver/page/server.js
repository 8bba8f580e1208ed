// Speaking to the server. URLs are relative: a proxy may have it under a prefix.

// What the server said no to; everything else that fails means that it is not there.
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

let token = sessionStorage.getItem('token') ?? '';

export const hasToken = () => token !== '';

export function useToken(text) {
  token = text;
  sessionStorage.setItem('token', text);
}

export async function ask(path, options = {}) {
  const headers = {...options.headers};
  if (token) headers.Authorization = 'Bearer ' + token;
  const answer = await fetch(path, {...options, headers, cache: 'no-store'});
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem.detail ?? answer.status + ' ' + answer.statusText);
}

export const askJson = async (path, options) => (await ask(path, options)).json();

export const start = order => askJson('v1/jobs', {
  method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(order),
});

export const end = id => askJson('v1/jobs/' + id, {method: 'DELETE'});

// All that the server has, in the order of their ids and with long arguments cut.
export async function* pagesOfJobs(signal) {
  for (let after = ''; after !== null;) {
    const page = await askJson('v1/jobs?limit=1000' + (after && '&after=' + after), {signal});
    yield page.jobs;
    after = page.next;
  }
}
