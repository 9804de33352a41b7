import 'file:///etc/passwd';
