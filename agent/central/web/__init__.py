"""HTTP: the doors that node and bank call, and the page on which a payer pays a notice."""
