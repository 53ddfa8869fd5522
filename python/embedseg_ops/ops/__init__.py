"""The operators: public function, argument errors, fake kernel and autograd formula side by side."""
