// The read API of the server that this page came from.

const PREFIX = "/api/v1";

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Return an answer's JSON. Raises ApiError with the problem's detail. Parameters that are null are left out. */
export async function get(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  const answer = await fetch(`${PREFIX}${path}${query && `?${query}`}`, { signal });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new ApiError(answer.status, problem.detail ?? `The server answered ${answer.status}.`);
}

/** As get, but null where the server does not have such a thing, or can't say it now. */
export async function getIfThere(path, parameters = {}) {
  try {
    return await get(path, parameters);
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}

export const streamAddress = `${PREFIX}/stream`;
