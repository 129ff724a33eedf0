// HTMLFormElement's own submit: a field of the form may be named "submit".
HTMLFormElement.prototype.submit.call(document.getElementById("pass-on"));
